import { setImmediate } from "node:timers/promises";
import { startCorrectingServer } from "../../../scripts/emulator/correcting-server";
import type { Correction } from "../../../scripts/emulator/correction";
import type { Emulator } from "../../../scripts/emulator/moto";
import { callAws } from "../../support/aws-call";
import { type HttpAnswer, type HttpRequest, type RunningServer, startHttpServer } from "../../support/http-server";

const received: HttpRequest[] = [];
let answer: HttpAnswer;
let silent: boolean;
let upstream: RunningServer;
let server: Emulator | undefined;

beforeEach(async () => {
  received.length = 0;
  answer = { status: 200 };
  silent = false;
  upstream = await startHttpServer((request) => {
    received.push(request);
    return silent ? undefined : answer;
  });
});

afterEach(async () => {
  await server?.stop();
  await upstream.close();
});

async function serve(...corrections: Correction[]): Promise<string> {
  server = await startCorrectingServer(upstream.endpoint, () => corrections);
  return server.url;
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) {
    await setImmediate();
  }
}

/** Answers with what a request said, under another name. */
const ECHO: Correction = {
  service: "autoscaling",
  requests: { DescribeTags: ({ parameters }) => ({ ...parameters, MaxRecords: "7" }) },
  answers: { DescribeTags: (result, { region, parameters }) => ({ ...result, region, ...parameters }) },
};

const TAGS =
  '<DescribeTagsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeTagsResult><Tags/></DescribeTagsResult></DescribeTagsResponse>';

test("a call of a service without corrections passes as it is, and so does its answer", async () => {
  // GIVEN
  const bytes = Buffer.from([0, 255, 10, 13]);
  answer = { status: 409, headers: { "x-amz-request-id": "1", "x-amz-crc32": "2" }, body: bytes };
  const url = await serve(ECHO);

  // WHEN
  const response = await fetch(`${url}//bucket/a%2Fb?versionId=1&acl`, {
    method: "PUT",
    headers: {
      authorization: "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/s3/aws4_request",
      "x-amz-meta-of": "x",
    },
    body: "content",
  });

  // THEN
  expect(response.status).toBe(409);
  expect(response.headers.get("x-amz-crc32")).toBe("2");
  expect(Buffer.from(await response.arrayBuffer())).toEqual(bytes);
  expect(received).toMatchObject([
    { method: "PUT", headers: { host: new URL(url).host, "x-amz-meta-of": "x" }, body: "content" },
  ]);
  expect(received[0]?.url.href).toMatch(/\?versionId=1&acl$/);
});

test("a correction completes the request and rewrites the answer of its action", async () => {
  answer = { status: 200, headers: { "x-amz-crc32": "2" }, body: TAGS };
  const url = await serve(ECHO);

  const text = await callAws(url, {
    service: "autoscaling",
    region: "us-west-2",
    body: "Action=DescribeTags&Filters.member.1.Name=key&Filters.member.1.Values.member.1=a%26b",
  });

  expect(received[0]?.body).toBe(
    "Action=DescribeTags&Filters.member.1.Name=key&Filters.member.1.Values.member.1=a%26b&MaxRecords=7",
  );
  expect(text).toContain('<DescribeTagsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">');
  expect(text).toContain("<region>us-west-2</region>");
  expect(text).toContain(
    "<Filters><member><Name>key</Name><Values><member>a&amp;b</member></Values></member></Filters>",
  );
});

test("an action without corrections keeps every byte of its request and of its answer", async () => {
  answer = { status: 200, headers: { "x-amz-crc32": "2" }, body: "<?xml version='1.0'?><odd  a='1'></odd>" };
  const url = await serve(ECHO);

  expect(await callAws(url, { service: "autoscaling", body: "Action=DeleteTags&Tags.member.1.Key=a" })).toBe(
    answer.body,
  );
  expect(received[0]?.body).toBe("Action=DeleteTags&Tags.member.1.Key=a");
});

test("a call that failed is not corrected, and nothing of it is remembered", async () => {
  answer = { status: 400, body: "<ErrorResponse/>" };
  const remembered: unknown[] = [];
  const url = await serve({
    service: "autoscaling",
    answers: {
      DescribeTags: (result) => {
        remembered.push(result);
        return result;
      },
    },
  });

  expect(await callAws(url, { service: "autoscaling", body: "Action=DescribeTags" })).toBe("<ErrorResponse/>");
  expect(remembered).toEqual([]);
});

test("says why there is no answer where the emulator behind has gone", async () => {
  const url = await serve(ECHO);
  await upstream.close();

  const gone = await fetch(url, { method: "POST", body: "Action=DescribeTags" });

  expect(gone.status).toBe(502);
  expect(await gone.text()).toMatch(/^The emulated AWS failed: .*ECONNREFUSED/);
});

test("goes on serving when a client leaves before its answer", async () => {
  answer = { status: 200, body: "here" };
  const url = await serve(ECHO);
  const left = new AbortController();
  silent = true;
  const leaving = ["autoscaling", "s3"].map((service) =>
    expect(callAws(url, { service, body: "Action=DescribeTags", signal: left.signal })).rejects.toThrow("aborted"),
  );
  await until(() => received.length === 2);

  left.abort();
  await Promise.all(leaving);
  silent = false;

  expect(await callAws(url, { service: "s3", body: "" })).toBe("here");
});

test("ends with clients still connected", async () => {
  const url = await serve(ECHO);
  await fetch(url).then((response) => response.text());

  await server?.stop();

  await expect(fetch(url)).rejects.toThrow("fetch failed");
  server = undefined;
});
