/** Protections that an operator may give up; each one that is in force stands in the fleet's outputs. */
export interface UnsafeOptions {
  /**
   * Answer metadata requests without a session token.
   * @default false
   */
  readonly imdsv1?: boolean;
  /**
   * Network hops a metadata answer may travel; containers on a bridge network need 2.
   * @default 1
   */
  readonly imdsHopLimit?: number;
  /**
   * Leave the root volume unencrypted.
   * @default false
   */
  readonly unencryptedRootVolume?: boolean;
}

/** The names of the options that weaken a fleet, sorted, as its outputs show them. */
export function unsafeFlags(options: UnsafeOptions): readonly string[] {
  return [
    ...((options.imdsHopLimit ?? 1) > 1 ? [`imds_hop_limit=${options.imdsHopLimit}`] : []),
    ...(options.imdsv1 === true ? ["imdsv1"] : []),
    ...(options.unencryptedRootVolume === true ? ["unencrypted_root_volume"] : []),
  ];
}
