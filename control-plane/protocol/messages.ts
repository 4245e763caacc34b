/** The types of the schemas. They cost nothing in the agent's bundle; the schemas hold zod and stay on the server. */
import type * as z from "zod";
import type * as schemas from "./schemas";

type Messages = typeof schemas.MESSAGES;

export type MessageName = keyof Messages;
export type Request<Name extends MessageName> = z.infer<Messages[Name]["request"]>;
export type Response<Name extends MessageName> = z.infer<Messages[Name]["response"]>;
export type AnswerName = MessageName | "refusal";
export type Answer<Name extends AnswerName> = Name extends MessageName ? Response<Name> : Refusal;

export type Action = z.infer<typeof schemas.Action>;
export type Checkpoint = z.infer<typeof schemas.Checkpoint>;
export type Connection = z.infer<typeof schemas.Connection>;
export type Grant = z.infer<typeof schemas.Grant>;
export type JobRef = z.infer<typeof schemas.JobRef>;
export type JobSpec = z.infer<typeof schemas.JobSpec>;
export type Phase = z.infer<typeof schemas.Phase>;
export type Refusal = z.infer<typeof schemas.Refusal>;
