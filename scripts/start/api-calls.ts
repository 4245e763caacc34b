import measured from "./api-calls.json";

/** AWS API calls that the provider makes for one resource. */
export interface ApiCalls {
  /** To create it, the reading that follows included; a resource that AWS finishes slowly is polled, which adds to it. */
  readonly create: number;
  /** To refresh it, as every plan does. */
  readonly read: number;
}

/** A type that was not measured: one call creates it, one reads it. */
export const LEAST_CALLS: ApiCalls = { create: 2, read: 1 };

/**
 * Calls per resource by type, data sources with the prefix `data.`: counted in the log of AWS provider 5.100 while it applied
 * the examples to an emulated AWS, by `npm run measure-api-calls`.
 */
export const API_CALLS: Readonly<Record<string, ApiCalls>> = measured;
