import * as z from "zod";
import type { Connection, JobSpec } from "../../../control-plane/protocol";
import type { Aws } from "../../host/aws";

/** A message holds no password: it names the secret that does. */
const QueueConnection = z.strictObject({
  engine: z.string().min(1),
  url: z.url().refine((url) => {
    const { username, password } = new URL(url);
    return username === "" && password === "";
  }, "holds credentials: put them into the secret"),
  /** Of a secret in Secrets Manager that is a JSON object with `username` and `password`, as RDS makes them. */
  secretArn: z.string().regex(/^arn:aws[\w-]*:secretsmanager:/, "is not the ARN of a secret"),
  options: z.record(z.string(), z.string()).default({}),
});

const QueueMessage = z.strictObject({
  name: z.string().min(1).max(128),
  source: QueueConnection,
  sink: QueueConnection,
  tables: z.array(z.string().min(1)).min(1).max(10_000),
  snapshot: z.boolean().default(true),
  options: z.record(z.string(), z.string()).default({}),
});

/** The body of a message that is a job. */
export type QueueMessage = z.infer<typeof QueueMessage>;

const Secret = z.looseObject({ username: z.string(), password: z.string() });

/** @throws Error naming each field that is wrong, and no value. */
export function parseQueueMessage(body: string): QueueMessage {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Error("the message is not JSON");
  }
  const parsed = QueueMessage.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the message"}: ${message}`);
  throw new Error(`the message is not a job: ${faults.join("; ")}`);
}

/**
 * The job with its credentials. Its daemon never outlives the worker's hold on the message.
 *
 * @throws AwsError when a secret may not be read; Error when it holds no credentials.
 */
export async function jobSpecOf(aws: Pick<Aws, "call">, message: QueueMessage): Promise<JobSpec> {
  const { name, tables, snapshot, options } = message;
  const [source, sink] = await Promise.all([connectionOf(aws, message.source), connectionOf(aws, message.sink)]);
  return { name, source, sink, tables, snapshot, options, onDisconnect: "stop" };
}

async function connectionOf(
  aws: Pick<Aws, "call">,
  { engine, url, secretArn, options }: QueueMessage["source"],
): Promise<Connection> {
  const { SecretString } = await aws.call("secretsmanager", "GetSecretValue", { SecretId: secretArn });
  const secret = secretOf(SecretString);
  if (!secret) throw new Error(`${secretArn} holds no JSON object with username and password`);
  const { username: user, password } = secret;
  return { engine, url, user, password, options };
}

/** Undefined where it is none. What a parser says of a text quotes it, and this one is a password. */
function secretOf(text: unknown): z.infer<typeof Secret> | undefined {
  try {
    return Secret.safeParse(JSON.parse(String(text))).data;
  } catch {
    return undefined;
  }
}
