/** The import table of docs/architecture.md: an arrow that is not in it fails the build. */
const ROOMS = ["main.ts", "stacks", "modules", "agent", "control-plane", "scripts"];

const mayImport = {
  "main.ts": ["stacks"],
  stacks: ["stacks", "modules"],
  modules: ["modules"],
  agent: ["agent", "control-plane/protocol"],
  "control-plane": ["control-plane"],
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

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: "control-plane-only-up",
      comment:
        "of scripts, only the local fleet and its benches use a control plane; a private PostgreSQL server is for all",
      severity: "error",
      from: { path: "^scripts/", pathNot: "^scripts/(up|bench-control-plane)/" },
      to: { path: "^control-plane/", pathNot: "^control-plane/store/(private-cluster|postgres-programs)\\.ts$" },
    },
    {
      name: "no-provider-root",
      comment: "the provider's index loads 2,600 files; import @cdktf/provider-x/lib/<resource>",
      severity: "error",
      from: {},
      to: { path: "node_modules/@cdktf/provider-[^/]+/lib/index\\." },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "declared-packages",
      comment: "a package that is imported stands in package.json",
      severity: "error",
      from: {},
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
