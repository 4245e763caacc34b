import { type SignableRequest, signedHeaders } from "../../../agent/host/sigv4";

/** Requests and signatures of the test suite that AWS publishes for Signature Version 4. */
const SUITE: readonly (Partial<Omit<SignableRequest, "url">> & {
  readonly name: string;
  readonly path: string;
  readonly sessionToken?: string;
  readonly signature: string;
})[] = [
  {
    name: "get-vanilla-query-order-key-case",
    path: "/?Param2=value2&Param1=value1",
    signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  },
  {
    name: "get-vanilla-query-unreserved",
    path:
      "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=" +
      "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
  },
  {
    name: "get-vanilla-utf8-query",
    path: "/?\u1234=bar",
    signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
  },
  {
    name: "get-utf8",
    path: "/\u1234",
    signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
  },
  {
    name: "get-slashes-unnormalized",
    path: "//example//",
    signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
  },
  {
    name: "get-header-value-trim",
    path: "/",
    headers: { "My-Header1": " value1", "My-Header2": ' "a   b   c"' },
    signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  },
  {
    name: "get-vanilla-with-session-token",
    path: "/",
    sessionToken: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
    signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
  },
  {
    name: "post-x-www-form-urlencoded",
    method: "POST",
    path: "/",
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      "Content-Length": "13",
      "x-amz-content-sha256": "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
    },
    body: "Param1=value1",
    signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
  },
];

test.each(SUITE)(
  "signs $name as AWS does",
  ({ path, method = "GET", headers = {}, body = "", sessionToken, signature }) => {
    const url = new URL(`https://example.amazonaws.com${path}`);

    const signed = signedHeaders(
      { method, url, headers, body },
      {
        service: "service",
        region: "us-east-1",
        credentials: {
          accessKeyId: "AKIDEXAMPLE",
          secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
          ...(sessionToken ? { sessionToken } : {}),
        },
        time: new Date("2015-08-30T12:36:00Z"),
      },
    );

    expect(signed["authorization"]).toContain("Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request");
    expect(signed["authorization"]).toMatch(new RegExp(`Signature=${signature}$`));
  },
);
