import * as z from "zod";
import { visibilitySeconds } from "./queue/message-hold.json";

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "letters, digits, dots, dashes, underscores");

const LocalConfig = z.strictObject({
  /** Where jobs come from: a control plane, or a queue. */
  controlPlaneUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** A file that only its owner may read; for a control plane. */
  deploymentTokenFile: z.string().min(1).optional(),
  queue: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }),
      region: z.string().min(1),
      visibilitySeconds: z
        .int()
        .min(visibilitySeconds.min)
        .max(visibilitySeconds.max, visibilitySeconds.aboveMax)
        .default(visibilitySeconds.default),
    })
    .optional(),
  workerId: name,
  pool: name.default("default"),
  labels: z.record(z.string().max(128), z.string().max(256)).default({}),
  /** A job that runs for longer is given back, to start anew. */
  maxJobAgeSeconds: z.int().min(1).optional(),
  slots: z.int().min(1).max(200).default(4),
  /** Holds what the agent must find again: its daemons' records and the lease. */
  stateDirectory: z.string().min(1),
  daemon: z.strictObject({
    kind: z.enum(["reference", "dbmazz"]).default("reference"),
    version: z.string().min(1),
    command: z.tuple([z.string().min(1)], z.string()),
  }),
  /** Upgrades by the control plane: the agent, and the daemon too, are started through links into folders of versions. */
  upgrade: z
    .strictObject({
      /** Ed25519 public key, PEM. */
      releaseKeyFile: z.string().min(1),
      gateSeconds: z.int().min(1).max(3_600).default(60),
    })
    .optional(),
  drain: z
    .strictObject({ mode: z.enum(["handoff", "finish"]), deadlineSeconds: z.int().min(1).max(172_800) })
    .default({ mode: "handoff", deadlineSeconds: 60 }),
});

/** A worker on a machine of one's own: daemons are plain processes, and there is no cloud around it. */
export type LocalConfig = z.infer<typeof LocalConfig>;

/** A worker is told of one place that jobs come from. */
const Config = LocalConfig.superRefine(({ controlPlaneUrl, deploymentTokenFile, queue }, context) => {
  const fault = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
  if (queue && controlPlaneUrl !== undefined)
    fault("queue", "jobs come from it or from controlPlaneUrl, not from both");
  if (!queue && controlPlaneUrl === undefined)
    fault("controlPlaneUrl", "is missing: jobs come from there, or from a queue");
  if (!queue && deploymentTokenFile === undefined)
    fault("deploymentTokenFile", "is missing: the control plane asks for it");
});

/**
 * @param path of the file that holds the text, for people.
 * @throws Error with one line per fault, each naming its setting.
 */
export function parseLocalConfig(text: string, path = "the worker's configuration"): LocalConfig {
  const parsed = Config.safeParse(jsonOf(text, path));
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`);
  throw new Error(`${path} is not usable\n  ${lines.join("\n  ")}`);
}

function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON`, { cause: error });
  }
}
