/** Apart from the page, so that the page may forbid every inline style. */
export const STATUS_STYLE = `
:root { color-scheme: light dark; --edge: light-dark(#d0d4da, #3a4048); --soft: light-dark(#59616b, #a4adb8); }
body { margin: 0 auto; max-width: 88rem; padding: 1rem 1.5rem 3rem; font: 15px/1.5 system-ui, sans-serif;
  color: light-dark(#1b1f24, #e6eaef); background: light-dark(#fff, #16191d); }
header { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: baseline; border-bottom: 1px solid var(--edge); }
h1 { font-size: 1.3rem; margin: .4rem 0; } h2 { font-size: 1.15rem; margin: 1.6rem 0 0; }
p { color: var(--soft); margin: .3rem 0; } p:empty { display: none; } .scroll { overflow: auto; max-height: 80vh; }
table { border-collapse: collapse; width: 100%; margin-top: .8rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; padding: .3rem 1.3rem .3rem 0; border-bottom: 1px solid var(--edge); vertical-align: top; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-weight: 600; color: var(--soft); position: sticky; top: 0;
  background: light-dark(#fff, #16191d); box-shadow: inset 0 -1px var(--edge); }
tbody th { font-weight: 600; min-width: min(11rem, 25vw); white-space: normal; overflow-wrap: anywhere; }
tbody th + td { min-width: min(14rem, 40vw); white-space: normal; } td:nth-last-child(-n+2) { white-space: normal; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
td small { display: block; max-width: 50ch; overflow-wrap: anywhere; color: var(--soft); font-weight: 400; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--edge); border-radius: .3rem; }
.good { color: light-dark(#176f2c, #6fcf83); } .warn { color: light-dark(#8a5300, #f0b45a); }
.bad, p.bad { color: light-dark(#b3261e, #ff8a80); font-weight: 600; } .quiet { color: var(--soft); }
`;
