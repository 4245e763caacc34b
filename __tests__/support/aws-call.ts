/** A request as an AWS SDK sends it to an emulator: signed for a service and a region, by nobody in particular. */
export interface AwsCall {
  readonly service: string;
  readonly region?: string;
  /** The parameters of a query protocol, or the body of a JSON protocol with its target. */
  readonly body: string;
  readonly target?: string;
  readonly signal?: AbortSignal;
}

export async function callAws(url: string, call: AwsCall): Promise<string> {
  const { service, region = "eu-west-1", body, target, signal } = call;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=emulator/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
      "content-type": target === undefined ? "application/x-www-form-urlencoded" : "application/x-amz-json-1.1",
      ...(target !== undefined && { "x-amz-target": target }),
    },
    body,
    signal: signal ?? null,
  });
  return response.text();
}
