/** Every command of an operator, and what a control plane answers to it. */
export const CANARY = "hfo_canary-of-an-answer";
const SHA256 = "ab".repeat(32);
const JOB = { id: "j", name: "orders", state: "pending", gapAfter: "0/5", logTail: [] };
const UPGRADE = { id: "u", state: "running", program: "agent", version: "2", pool: "default" };
const WORKER = { sessionId: "s", workerId: "i-1", draining: false, silentMs: 0, jobs: 0 };
const TEST = { state: "answered", workerId: "i-1", ok: true, steps: [] };

/** What a control plane answers, by what it is asked. */
const ANSWERS: readonly (readonly [RegExp, unknown])[] = [
  [/^GET .*\/deployments\?/, [{ id: "d", name: "shop" }]],
  [/^GET .*\/datasources\?/, [{ id: "s", name: "orders-db", options: {} }]],
  [/^GET .*\/jobs\?/, [JOB]],
  [/^GET .*\/jobs\/j$/, JOB],
  [/^GET .*\/upgrades\?/, [UPGRADE]],
  [/^GET .*\/upgrades\/u\/workers\?/, [{ workerId: "i-1", state: "asked", detail: null }]],
  [/^GET .*\/workers\?/, [WORKER]],
  [/^GET .*\/connection-tests\//, TEST],
  [/^GET .*\/tokens\?/, [{ id: "t" }]],
  [/^GET .*\/audit\?/, [{ seq: 1 }]],
  [/^GET .*\/audit\/verify/, { tamperedAt: null }],
  [/^POST .*\/jobs\/j\/(run|pause|stop|delete)$/, { state: "stopped" }],
  [/^POST .*\/gone$/, { freed: 0 }],
  [/^POST .*\/keys\/rotate$/, { key: "k1", wrapped: 0 }],
  [/^POST .*\/datasources\/s$/, { version: 1 }],
  [/^POST .*\/tokens(\/t\/rotate)?$/, { id: "t", token: CANARY }],
  [/^POST /, { id: "new" }],
  [/^DELETE /, {}],
];
export const rightAnswer = (asked: string): unknown => ANSWERS.find(([what]) => what.test(asked))?.[1];

export const COMMANDS = [
  "deployment create shop",
  "deployment list",
  "deployment show shop",
  "datasource create orders-db --engine postgres --at postgres://db/shop --user cdc",
  "datasource change orders-db --option sslmode=require",
  "datasource list",
  "datasource show orders-db",
  "datasource test orders-db --role source",
  "datasource delete orders-db",
  "job create orders --source orders-db --sink orders-db --tables t",
  "job list",
  "job show orders",
  "job run orders",
  "job pause orders",
  "job stop orders",
  "job delete orders",
  "job acknowledge-gap orders --yes",
  "worker list",
  "worker show i-1",
  "worker drain i-1",
  "worker revoke i-1",
  "worker gone i-1 --yes",
  `upgrade start agent 2 --from https://releases.example/a --sha256 ${SHA256} --signature c2ln`,
  "upgrade status",
  "upgrade status u",
  "upgrade pause u",
  "upgrade resume u",
  "upgrade abort u",
  "token create --out {}/token",
  "token rotate t --out {}/token",
  "token list",
  "token revoke t",
  "audit list",
  "audit verify",
  "key rotate",
];
