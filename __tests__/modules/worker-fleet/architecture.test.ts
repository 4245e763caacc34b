import { architectureOf, architecturesOf } from "../../../modules/worker-fleet/architecture";

/** Families as DescribeInstanceTypes reports them. */
const X86_64_FAMILIES = `
  c1 c3 c4 c5 c5a c5ad c5d c5n c6a c6i c6id c6in c7a c7i c7i-flex c8a c8i c8i-flex c8ib c8id c8in c8ine d2 d3 d3en
  dl1 dl2q f2 g4ad g4dn g5 g6 g6e g6f g7e gr6 gr6f h1 hpc6a hpc6id hpc7a hpc8a i2 i3 i3en i4i i7i i7ie inf1 inf2
  m1 m2 m3 m4 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6i m6id m6idn m6in m7a m7i m7i-flex m8a m8azn m8i m8i-flex m8ib
  m8id m8in m8ine p3dn p4d p4de p5 p5e p5en p6-b200 p6-b300 r3 r4 r5 r5a r5ad r5b r5d r5dn r5n r6a r6i r6id r6idn
  r6in r7a r7i r7iz r8a r8i r8i-flex r8ib r8id r8in t1 t2 t3 t3a trn1 trn1n trn2 u-3tb1 u-6tb1 u7i-12tb u7i-6tb
  u7i-8tb u7in-16tb u7in-24tb u7in-32tb vt1 x1 x1e x2idn x2iedn x2iezn x8aedz x8i z1d
`;
const ARM64_FAMILIES = `
  a1 c6g c6gd c6gn c7g c7gd c7gn c8g c8gb c8gd c8gn g5g hpc7g i4g i8g i8ge im4gn is4gen m6g m6gd m7g m7gd m8g m8gb
  m8gd m8gn r6g r6gd r7g r7gd r8g r8gb r8gd r8gn t4g x2gd x8g
`;

const families = (text: string) => text.trim().split(/\s+/);

test("R14: every EC2 family is told by its name", () => {
  expect(families(X86_64_FAMILIES).filter((family) => architectureOf(`${family}.large`) !== "x86_64")).toEqual([]);
  expect(families(ARM64_FAMILIES).filter((family) => architectureOf(`${family}.large`) !== "arm64")).toEqual([]);
});

test("R14: something that is not an instance type is refused by name", () => {
  for (const value of ["c7g", "", "C7G.large", "c7g large", "c7g."]) {
    expect(() => architectureOf(value)).toThrow(`instance type "${value}" should be <family>.<size>`);
  }
});

test("R14: a list keeps the order in which architectures first appear", () => {
  expect(architecturesOf(["c7g.large", "c6i.large", "m7g.large"])).toEqual(["arm64", "x86_64"]);
});
