import { runInNewContext } from "node:vm";
import type { FakeMembers } from "./fake-members";

export const CONNECTION_FILE = "/etc/holdfast/mongodb-uri";
const SECRET = "mongodb://roller:s3cret@127.0.0.1:27017/admin?directConnection=true";
const NOW_MS = 1_700_000_000_000;

/**
 * The MongoDB shell on a member of a replica set: it runs the script it is given, with the calls of the real shell that the
 * script may make; the documents are those of the manual's replSetGetStatus and replSetGetConfig, shortened.
 */
export function runMongosh(members: FakeMembers, member: number, command: readonly string[]): string {
  const [program, ...rest] = command;
  const script = rest.at(-1) ?? "";
  if (program !== "mongosh" || rest.slice(0, -1).join(" ") !== "--quiet --norc --nodb --eval") {
    throw new Error(`unknown options: ${rest.slice(0, -1).join(" ")}`);
  }
  if (command.join(" ").includes("s3cret")) throw new Error("the password is in the process list");
  const printed: string[] = [];
  runInNewContext(script, {
    require: (name: string) => {
      if (name !== "fs") throw new Error(`Cannot find module '${name}'`);
      return { readFileSync: (file: string) => (file === CONNECTION_FILE ? `${SECRET}\n` : raise(`ENOENT: ${file}`)) };
    },
    connect: (address: string) => {
      if (address !== SECRET) throw new Error("MongoServerError: Authentication failed.");
      return { adminCommand: (document: Record<string, unknown>) => adminCommand(members, member, document) };
    },
    print: (text: string) => printed.push(text),
  });
  return `${printed.join("\n")}\n`;
}

function adminCommand(members: FakeMembers, self: number, document: Record<string, unknown>): unknown {
  switch (Object.keys(document)[0]) {
    case "replSetGetStatus":
      return status(members, self);
    case "replSetGetConfig":
      return { ok: 1, config: { members: members.all.map((id) => ({ _id: id, host: nameOf(id), votes: 1 })) } };
    case "replSetStepDown":
      if (members.leader !== self) throw new Error("MongoServerError: not primary so can't step down");
      members.elect(self);
      return { ok: 1 };
    default:
      throw new Error(`MongoServerError: no such command: '${Object.keys(document)[0]}'`);
  }
}

function status(members: FakeMembers, self: number): unknown {
  return {
    ok: 1,
    set: "orders",
    date: new Date(NOW_MS),
    majorityVoteCount: 2,
    writeMajorityCount: 2,
    votingMembersCount: 3,
    writableVotingMembersCount: 3,
    members: members.all.map((id) => ({
      _id: id,
      name: nameOf(id),
      health: members.serves(id) ? 1 : 0,
      stateStr: !members.serves(id) ? "(not reachable/healthy)" : id === members.leader ? "PRIMARY" : "SECONDARY",
      optimeDate: new Date(members.serves(id) ? NOW_MS : 0),
      ...(id === self ? { self: true } : {}),
    })),
  };
}

const nameOf = (member: number) => `node-0${member}.orders.internal:27017`;

function raise(message: string): never {
  throw new Error(message);
}
