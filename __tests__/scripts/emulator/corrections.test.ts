import { correctedCall } from "../../../scripts/emulator/corrected-call";
import type { CorrectedService } from "../../../scripts/emulator/correction";
import { corrections } from "../../../scripts/emulator/corrections";

/** One emulated AWS that answers as moto does: gives what goes on to it, and what comes back. */
function emulatedAws() {
  const all = corrections();
  return (service: CorrectedService, request: string, answer: string, region = "eu-west-1") => {
    const [action = "", json] = request.split(" ");
    const headers = { "x-amz-target": `Logs_20140328.${action}` };
    const body = service === "logs" ? (json ?? "{}") : `Action=${request}`;
    const call = correctedCall({ region, service }, headers, Buffer.from(body), all);
    const [name = ""] = action.split("&");
    return {
      sent: decodeURIComponent(call.request.toString()),
      text: call.answer(Buffer.from(service === "autoscaling" ? autoscaling(name, answer) : answer)).toString(),
    };
  };
}

const autoscaling = (action: string, result: string) =>
  `<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`;

const G1 = "<AutoScalingGroupName>g1</AutoScalingGroupName>";

describe("a scaling policy", () => {
  const policy = (name: string, predictive: string) =>
    `<member>${G1}<PolicyName>${name}</PolicyName>${predictive}</member>`;

  test("is enabled unless its request said otherwise, and predictive only where it is", () => {
    const call = emulatedAws();
    const put = "PutScalingPolicy&AutoScalingGroupName=g1";
    call("autoscaling", `${put}&PolicyName=on`, "");
    call("autoscaling", `${put}&PolicyName=off&Enabled=false`, "");

    const forecast = "<PredictiveScalingConfiguration><Mode>ForecastOnly</Mode></PredictiveScalingConfiguration>";
    const { text } = call(
      "autoscaling",
      "DescribePolicies",
      `<ScalingPolicies>${policy("on", "<PredictiveScalingConfiguration/>")}${policy("off", forecast)}</ScalingPolicies>`,
    );

    expect(text).toContain(policy("on", "<Enabled>true</Enabled>"));
    expect(text).toContain(policy("off", `${forecast}<Enabled>false</Enabled>`));
  });
});

describe("a launch template", () => {
  const tags = (type: string) => `<item><resourceType>${type}</resourceType><tagSet/></item>`;
  const versions = (set: string) =>
    `<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet><item><launchTemplateData><imageId>ami-1</imageId>${set}</launchTemplateData></item></launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>`;

  test("keeps its own tags out of those of what it launches", () => {
    const describeVersions = (set: string) =>
      emulatedAws()("ec2", "DescribeLaunchTemplateVersions", versions(set)).text;
    const instance = `<tagSpecificationSet>${tags("instance")}</tagSpecificationSet>`;

    expect(
      describeVersions(`<tagSpecificationSet>${tags("instance")}${tags("launch-template")}</tagSpecificationSet>`),
    ).toBe(versions(instance));
    expect(describeVersions(`<tagSpecificationSet>${tags("launch-template")}</tagSpecificationSet>`)).toBe(
      versions(""),
    );
  });
});

describe("a security group rule", () => {
  const rules = (action: string, ...items: string[]) =>
    `<${action}Response><securityGroupRuleSet>${items.map((item) => `<item>${item}</item>`).join("")}</securityGroupRuleSet></${action}Response>`;
  const rule = (id: string, egress: boolean, peer: string) =>
    `<securityGroupRuleId>${id}</securityGroupRuleId><groupId>sg-1</groupId><isEgress>${egress}</isEgress><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort>${peer}`;
  const GROUP = "<referencedGroupInfo><groupId>sg-2</groupId></referencedGroupInfo>";
  const LIST = "<prefixListId>pl-1</prefixListId>";
  const PERMISSION =
    "GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=443&IpPermissions.1.ToPort=443";
  const to = (peer: string) => `${PERMISSION}&IpPermissions.1.${peer}`;

  test("to a group or a prefix list keeps its description, in its direction", () => {
    const call = emulatedAws();
    const authorize = (peer: string, answer: string) =>
      call("ec2", `AuthorizeSecurityGroupEgress&${to(peer)}`, rules("AuthorizeSecurityGroupEgress", answer)).text;

    const made = authorize(
      "Groups.1.GroupId=sg-2&IpPermissions.1.Groups.1.Description=endpoints",
      rule("r1", true, GROUP),
    );
    authorize(
      "PrefixListIds.1.PrefixListId=pl-1&IpPermissions.1.PrefixListIds.1.Description=S3",
      rule("r2", true, LIST),
    );
    const { text } = call(
      "ec2",
      "DescribeSecurityGroupRules",
      rules("DescribeSecurityGroupRules", rule("r1", true, GROUP), rule("r2", true, LIST), rule("r3", false, GROUP)),
    );

    expect(made).toContain(rule("r1", true, `${GROUP}<description>endpoints</description>`));
    expect(text).toBe(
      rules(
        "DescribeSecurityGroupRules",
        rule("r1", true, `${GROUP}<description>endpoints</description>`),
        rule("r2", true, `${LIST}<description>S3</description>`),
        rule("r3", false, GROUP),
      ),
    );
  });

  test("has the description of its last modification, or none where it was made anew without", () => {
    const call = emulatedAws();
    const describeRule = (id: string) =>
      call("ec2", "DescribeSecurityGroupRules", rules("DescribeSecurityGroupRules", rule(id, false, GROUP))).text;
    const authorize = (id: string, description: string) =>
      call(
        "ec2",
        `AuthorizeSecurityGroupIngress&${to("Groups.1.GroupId=sg-2")}${description}`,
        rules("AuthorizeSecurityGroupIngress", rule(id, false, GROUP)),
      );

    authorize("r1", "&IpPermissions.1.Groups.1.Description=first");
    expect(describeRule("r1")).toContain("<description>first</description>");

    const modified =
      "SecurityGroupRule.1.SecurityGroupRuleId=r1&SecurityGroupRule.1.SecurityGroupRule.Description=second";
    call("ec2", `ModifySecurityGroupRules&GroupId=sg-1&${modified}`, "<ModifySecurityGroupRulesResponse/>");
    expect(describeRule("r1")).toContain("<description>second</description>");

    authorize("r2", "");
    expect(describeRule("r2")).not.toContain("description");
  });
});

describe("a log group", () => {
  test("is of the class that it was created in, and found by it", () => {
    const call = emulatedAws();
    call("logs", 'CreateLogGroup {"logGroupName":"rare","logGroupClass":"INFREQUENT_ACCESS"}', "");
    call("logs", 'CreateLogGroup {"logGroupName":"usual"}', "");
    const answer = JSON.stringify({ logGroups: [{ logGroupName: "rare" }, { logGroupName: "usual" }] });

    expect(JSON.parse(call("logs", "DescribeLogGroups {}", answer).text)).toEqual({
      logGroups: [
        { logGroupName: "rare", logGroupClass: "INFREQUENT_ACCESS" },
        { logGroupName: "usual", logGroupClass: "STANDARD" },
      ],
    });
    expect(JSON.parse(call("logs", 'DescribeLogGroups {"logGroupClass":"STANDARD"}', answer).text)).toEqual({
      logGroups: [{ logGroupName: "usual", logGroupClass: "STANDARD" }],
    });
  });
});
