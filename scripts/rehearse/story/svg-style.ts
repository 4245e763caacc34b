/** Colours that keep apart for people who see fewer of them, on white and on black. */
export const STYLE = `
svg{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:13px}
.ground{fill:#fff}.head{font-size:20px;font-weight:600;fill:#0f172a}
.well{fill:#15803d;font-weight:600}.bad{fill:#b91c1c;font-weight:600}
.node{fill:#0f172a;font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:12px}
.entry{fill:#0f172a}.faint{fill:#64748b}.small{font-size:11px}
.grid{stroke:#e2e8f0}.band{fill:#1e293b;opacity:.05}.mark{stroke:#475569;stroke-dasharray:2 3}
.badge{fill:#334155}.badge.failed{fill:#b91c1c}.number{fill:#fff;font-size:11px;font-weight:600}
.hit{fill:#0f172a;stroke:#fff;stroke-width:1.5}
.down{fill:#dc2626}.booting{fill:#f4b740}.in-service{fill:#3f9f74}.unwell{fill:#e8743b}.leaving{fill:#94a3b8}.rolling{fill:#2563eb}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.head,.node,.entry{fill:#e6edf3}.well{fill:#4ade80}.bad{fill:#f87171}
.faint{fill:#8b98a9}.grid{stroke:#21262d}.band{fill:#fff;opacity:.05}.mark{stroke:#8b98a9}
.badge{fill:#3d4757}.hit{fill:#e6edf3;stroke:#0d1117}
.down{fill:#f05252}.booting{fill:#d29922}.in-service{fill:#2f8f63}.leaving{fill:#64748b}.rolling{fill:#60a5fa}
}`;
