/** What a worker agent imports. The schemas (`./schemas`) hold zod and stay on the server. */
export { checkAnswer } from "./checker";
export { isSameRef, refOf } from "./job-ref";
export { PROTOCOL_VERSION, WORKER_PATH } from "./limits";
export type * from "./messages";
export { dropOfSlot, replicationNameOf, replicationSlotOf, SLOT_NAME, settingsOf } from "./replication-slot";
