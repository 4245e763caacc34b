/** Milliseconds as a rehearsal tells them: `0.3 s`, `12.4 s`, `2 min 5 s`. */
export function timeText(ms: number): string {
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
