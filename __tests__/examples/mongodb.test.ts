import { join } from "node:path";
import { ScriptSandbox } from "../support/script-sandbox";

const MEMBERS = "00 10.0.0.10\n01 10.0.1.10\n02 10.0.2.10\n";

/**
 * mongosh: its options, and its JavaScript against what the member at the address says at this moment. A member without a set takes
 * the configuration that rs.initiate gives it, as mongod checks it, if it comes over the localhost exception.
 */
const MONGOSH = `#!${process.execPath}
const fs = require("node:fs");
const [quiet, norc, uri, option, script, ...more] = process.argv.slice(2);
const [, host] = /^mongodb:\\/\\/([\\d.]+):27017\\/\\?directConnection=true&serverSelectionTimeoutMS=\\d+$/.exec(uri ?? "") ?? [];
if (quiet !== "--quiet" || norc !== "--norc" || option !== "--eval" || more.length || !host) {
  console.error("mongosh: bad arguments", process.argv.slice(2));
  process.exit(64);
}
const root = process.env.SANDBOX;
const own = fs.readFileSync(root + "/own", "utf8").trim();
const member = host === "127.0.0.1" ? own : host;
const answers = root + "/moments/" + fs.readFileSync(root + "/now", "utf8").trim() + "/" + member;
if (!fs.existsSync(answers)) {
  console.error("MongoServerSelectionError: connect ECONNREFUSED " + host + ":27017");
  process.exit(1);
}
const hello = JSON.parse(fs.readFileSync(answers, "utf8"));
const rs = {
  initiate(config) {
    if (host !== "127.0.0.1") throw new Error("MongoServerError[Unauthorized]: command replSetInitiate requires authentication");
    if (hello.setName) throw new Error("MongoServerError[AlreadyInitialized]: already initialized");
    const ids = config.members.map(({ _id }) => _id);
    const hosts = config.members.map((one) => one.host);
    if (config._id !== "rs0") throw new Error("MongoServerError[InvalidReplicaSetConfig]: set name");
    if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id <= 255) || new Set(ids).size < ids.length) throw new Error("ids");
    if (!hosts.includes(own + ":27017")) throw new Error("MongoServerError[InvalidReplicaSetConfig]: no host maps to this node");
    fs.appendFileSync(root + "/initiated", JSON.stringify(config) + "\\n");
  },
};
new Function("db", "rs", "print", script)({ hello: () => hello }, rs, console.log);
`;

const SECONDARY = { setName: "rs0", secondary: true, isWritablePrimary: false };
const PRIMARY = { setName: "rs0", secondary: false, isWritablePrimary: true };
const STARTING = { setName: "rs0", secondary: false, isWritablePrimary: false };
const NEW = {
  isreplicaset: true,
  info: "Does not have a valid replica set config",
  secondary: false,
  isWritablePrimary: false,
};

let node: ScriptSandbox;
afterEach(() => node.remove());

function given(own = "10.0.0.10", files: Readonly<Record<string, string>> = {}): ScriptSandbox {
  node = new ScriptSandbox({
    script: join(__dirname, "../../examples/mongodb/node-config-script.sh"),
    units: ["mongod"],
    users: ["mongodb"],
    programs: { mongosh: MONGOSH },
    files: {
      "/etc/holdfast/mongodb-members": MEMBERS,
      "/etc/holdfast/mongodb-key": "c2VjcmV0\n",
      "/own": own,
      ...files,
    },
  });
  return node;
}
/** What each member says; undefined for one that does not answer. */
const moment = (...members: readonly (object | undefined)[]) =>
  Object.fromEntries(members.flatMap((hello, i) => (hello ? [[`10.0.${i}.10`, JSON.stringify(hello)]] : [])));
const wait = (id = "00", ip = "10.0.0.10") => node.call("wait_for_healthy_cluster", id, ip);
const initiated = () => node.read("/initiated")?.trim().split("\n") ?? [];

describe("configure_cluster_node", () => {
  test("keeps data on the volume and clients out that have no key, and may be called again", () => {
    given();
    for (let call = 0; call < 2; call++) {
      expect(node.call("configure_cluster_node", "00", "10.0.0.10")).toEqual({ status: 0, output: "" });
    }

    expect(node.read("/etc/mongod.conf")).toBe(
      [
        "storage: { dbPath: /data/mongodb }",
        'net: { port: 27017, bindIp: "127.0.0.1,10.0.0.10" }',
        "replication: { replSetName: rs0 }",
        "security: { keyFile: /etc/holdfast/mongodb-key }",
        "systemLog: { destination: syslog }",
        "",
      ].join("\n"),
    );
    expect(node.read("/etc/systemd/system/mongod.service.d/data.conf")).toBe(
      "[Unit]\nRequiresMountsFor=/data/mongodb/journal\n",
    );
    expect(node.calls.slice(3)).toEqual([
      "systemctl daemon-reload",
      "systemctl enable mongod",
      "systemctl restart mongod",
    ]);
  });

  test.each<[string, Readonly<Record<string, string>>, string]>([
    ["no key", { "/etc/holdfast/mongodb-key": "" }, "name the key in node_secret_files"],
    ["members without this node", { "/etc/holdfast/mongodb-members": "01 10.0.1.10\n" }, "one of them 00 10.0.0.10"],
    ["a member twice", { "/etc/holdfast/mongodb-members": `${MEMBERS}0 10.0.3.10\n` }, "each once"],
    ["a member that is code", { "/etc/holdfast/mongodb-members": `${MEMBERS}03 ";quit()//\n` }, "each once"],
    ["an empty line", { "/etc/holdfast/mongodb-members": `${MEMBERS}\n` }, "each once"],
  ])("refuses %s, and starts nothing", (_what, files, message) => {
    given("10.0.0.10", files);

    const { status, output } = node.call("configure_cluster_node", "00", "10.0.0.10");

    expect(status).toBe(1);
    expect(output).toContain(message);
    expect(node.calls).toEqual([]);
  });
});

describe("a new set", () => {
  test("is made once, by its first member, when every member answers", () => {
    given().moments(
      moment(NEW),
      moment(NEW, NEW, NEW),
      moment(STARTING, STARTING, STARTING),
      moment(PRIMARY, SECONDARY, SECONDARY),
    );

    expect(wait().status).toBe(0);
    expect(initiated().map((line) => JSON.parse(line))).toEqual([
      {
        _id: "rs0",
        members: [
          { _id: 0, host: "10.0.0.10:27017" },
          { _id: 1, host: "10.0.1.10:27017" },
          { _id: 2, host: "10.0.2.10:27017" },
        ],
      },
    ]);
  });

  test.each<[string, readonly (object | undefined)[], string]>([
    ["by another member than the first", [NEW, NEW, NEW], "01 10.0.1.10"],
    ["while a member does not answer, since it may have a set", [NEW, NEW, undefined], "00 10.0.0.10"],
    ["where one has a set: its data were lost, not the set", [NEW, SECONDARY, PRIMARY], "00 10.0.0.10"],
    ["where one is starting with a set", [NEW, NEW, STARTING], "00 10.0.0.10"],
  ])("is never made %s", (_why, members, who) => {
    const [id = "", ip = ""] = who.split(" ");
    given(ip).moments(moment(...members), moment(...members));

    expect(wait(id, ip).status).toBeNull();
    expect(initiated()).toEqual([]);
  });

  test("a member that the set does not know says what makes it one", () => {
    given("10.0.2.10").moments(moment(PRIMARY, SECONDARY, NEW));

    expect(wait("02", "10.0.2.10").output).toContain("rs.add('10.0.2.10:27017')");
  });
});

describe("a member that comes back with its data", () => {
  test("is healthy once it serves, one leads and a majority serves; it makes no set", () => {
    given().moments(
      moment(undefined, PRIMARY, SECONDARY),
      moment(STARTING, PRIMARY, SECONDARY),
      moment(SECONDARY, PRIMARY, undefined),
    );

    expect(wait()).toMatchObject({
      status: 0,
      output: expect.stringMatching(/this member: secondary; 2 of 3 serve, 1 lead, 0 have no set yet\n$/),
    });
    expect(initiated()).toEqual([]);
  });

  test.each<[string, readonly (object | undefined)[]]>([
    ["none leads", [SECONDARY, SECONDARY, SECONDARY]],
    ["two lead", [SECONDARY, PRIMARY, PRIMARY]],
    ["only a minority serves", [PRIMARY, undefined, STARTING]],
    ["it still recovers", [STARTING, PRIMARY, SECONDARY]],
  ])("waits while %s", (_why, members) => {
    given().moments(moment(...members));

    expect(wait().status).toBeNull();
  });
});
