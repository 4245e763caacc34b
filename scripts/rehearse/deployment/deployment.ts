import type { FleetDials } from "../fleet/fleet";
import type { Workers } from "../fleet/fleet-needs";

/** What is rehearsed: a document of deployments/, or a directory with Terraform. */
export interface Deployment {
  readonly name: string;
  readonly region: string;
  /** Where its instances are workers, which do nothing without a control plane; undefined where it is a cluster. */
  readonly workers: Workers | undefined;
  /** Writes into an empty directory what Terraform applies, and makes in the emulated AWS what it expects to be there. */
  write(place: Place): Promise<Written>;
}

export interface Place {
  readonly directory: string;
  /** Of the emulated AWS. */
  readonly url: string;
  /** The network of /16 that every node must have its address in; undefined where any will do. */
  readonly network: string | undefined;
  /** What its workers find there; undefined where they dial to nothing. */
  readonly dials: FleetDials | undefined;
  readonly signal: AbortSignal;
}

export interface Written {
  /** Where Terraform runs. */
  readonly directory: string;
  /** What is different from where the deployment belongs. */
  readonly remarks: readonly string[];
  /** After `terraform init`: has the outputs tell what is to be known of clusters. */
  tellClusters(): void;
  /** Of the outputs: the manifest of every cluster, JSON. */
  manifests(outputs: Readonly<Record<string, unknown>>): readonly string[];
  /**
   * Writes the same with another node config script, for the next apply; an instance that it fails on is ended at once, since no
   * person comes to look at it.
   *
   * @throws Error where the deployment has none that can be replaced, with the reason.
   */
  writeScript(script: string): Promise<void>;
}
