/**
 * Where a cluster's lock and journal live: small named texts with an atomic create.
 * Reads see completed writes. Keys use `/` and are relative to the cluster.
 */
export interface Store {
  /** Every text whose key starts with the prefix. */
  list(prefix: string): Promise<ReadonlyMap<string, string>>;
  /** False, and nothing written, when the key exists. Atomic against other creators. */
  create(key: string, text: string): Promise<boolean>;
  write(key: string, text: string): Promise<void>;
  /** No error when the key is absent. */
  remove(key: string): Promise<void>;
}
