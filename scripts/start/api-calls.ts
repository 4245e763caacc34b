/** AWS API calls that the provider makes for one resource. */
export interface ApiCalls {
  /** To create it, up to and including the reading that follows. */
  readonly create: number;
  /** To refresh it. */
  readonly read: number;
}

/** A type that was not measured: one call creates, one reads. */
export const LEAST_CALLS: ApiCalls = { create: 2, read: 1 };

/** Calls per resource by type; data sources begin with `data.`. */
export const API_CALLS: Readonly<Record<string, ApiCalls>> = {};
