/** The import table of docs/architecture.md: an arrow that is not in it fails the build. */
const ROOMS = ["main.ts", "stacks", "modules", "agent", "control-plane", "scripts"];

/** How every program that a person starts reads its command line. */
const COMMAND_LINE = "scripts/command-line.ts";

const mayImport = {
  "main.ts": ["stacks", COMMAND_LINE],
  stacks: ["stacks", "modules"],
  modules: ["modules"],
  agent: ["agent", "control-plane/protocol"],
  "control-plane": ["control-plane", COMMAND_LINE],
  scripts: ["scripts", "modules", "control-plane"],
};

const path = (room) => (room.endsWith(".ts") ? `^${room.replace(".", "\\.")}$` : `^${room}/`);

const roomRules = ROOMS.map((room) => ({
  name: `${room.replace(".ts", "")}-imports`,
  comment: `${room} may import ${mayImport[room].join(", ")} and packages`,
  severity: "error",
  from: { path: path(room) },
  to: {
    path: "^(main\\.ts$|stacks/|modules/|agent/|control-plane/|scripts/|__tests__/)",
    pathNot: mayImport[room].map(path),
  },
}));

/** Data, not code: the metrics a worker emits, read by the alarms and dashboards of its fleet. */
roomRules.find((rule) => rule.name === "modules-imports").to.pathNot.push("^agent/[^.]+\\.json$");

/** A bench's programs that run on a newer Node.js; the others start them, and import none. */
const PEERS = "^scripts/bench-control-plane/peers/[^/]+$";
const peerPackages = Object.keys(require("./scripts/bench-control-plane/peers/package.json").dependencies).map(
  (name) => `(^|node_modules/)${name}(/|$)`,
);

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: "control-plane-only-up",
      comment:
        "of scripts, only the local fleet and its benches use a control plane; a private PostgreSQL server is for all",
      severity: "error",
      from: { path: "^scripts/", pathNot: "^scripts/(up|bench-control-plane)/" },
      to: {
        path: "^control-plane/",
        pathNot: "^control-plane/store/(free-port|private-cluster|postgres-programs)\\.ts$",
      },
    },
    {
      name: "no-provider-root",
      comment: "the provider's index loads 2,600 files; import @cdktf/provider-x/lib/<resource>",
      severity: "error",
      from: {},
      to: { path: "node_modules/@cdktf/provider-[^/]+/lib/index\\." },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "resolvable",
      comment: "the peers of a bench have a package.json of their own, and are installed when it runs",
      severity: "error",
      from: { pathNot: PEERS },
      to: { couldNotResolve: true },
    },
    {
      name: "peers-stand-alone",
      comment: "a peer's program imports its own folder and the packages of its package.json",
      severity: "error",
      from: { path: PEERS },
      to: { pathNot: [PEERS, ...peerPackages], dependencyTypesNot: ["core"] },
    },
    {
      name: "declared-packages",
      comment: "a package that is imported stands in package.json",
      severity: "error",
      from: { pathNot: PEERS },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|cdktf\\.out)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
