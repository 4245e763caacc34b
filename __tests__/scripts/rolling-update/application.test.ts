import { applicationOf } from "../../../scripts/rolling-update/cli/application";
import { settingsOf } from "../../../scripts/rolling-update/cli/settings-of";
import { systemClock } from "../../../scripts/rolling-update/clock";
import type { NodeChannel } from "../../../scripts/rolling-update/node-channel";
import { nodesAt } from "../../support/running-cluster";

const channel: NodeChannel = { run: async () => "" };
const surroundings = { nodes: nodesAt(["10.0.0.10"]), clock: systemClock, channel };

describe("the application of a roll's settings", () => {
  test.each(["etcd", "zookeeper", "kafka", "mongodb", "patroni"])(
    "R11: %s is asked itself, and has a drain of its own",
    (kind) => {
      const application = applicationOf(settingsOf({ application: { kind } }), surroundings);

      expect(application.drain).toBeDefined();
      expect(application.probe).toBeDefined();
    },
  );

  test("R11: an unknown kind is refused by the field's name", () => {
    expect(() => settingsOf({ application: { kind: "oracle" } })).toThrow(/application\.kind/);
  });

  test("R11: an unknown setting of a known kind is refused", () => {
    expect(() => settingsOf({ application: { kind: "etcd", prot: 2379 } })).toThrow(/prot/);
  });

  test.each([
    ["a check", { checkTcp: 2379 }],
    ["a drain", { drainOnNode: "systemctl stop etcd" }],
  ])("R11: a known kind and %s exclude each other", (_name, flags) => {
    const settings = settingsOf({ application: { kind: "etcd" }, ...flags });

    expect(() => applicationOf(settings, surroundings)).toThrow(/application \(etcd\) brings its own checks and drain/);
  });

  test("R11: a certificate that is not there is named before anything is asked", () => {
    const settings = settingsOf({ application: { kind: "etcd", tls: { ca: "/nowhere/ca.pem" } } });

    expect(() => applicationOf(settings, surroundings)).toThrow("/nowhere/ca.pem");
  });
});
