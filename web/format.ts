/** Figures as people read them. */

/** `1.4 MB`; decimal units, as disks and lines have them. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `12 ms`, `1.3 s`. */
export function milliseconds(count: number): string {
  if (count >= 1_000) return `${(count / 1_000).toFixed(1)} s`;
  return `${count < 10 ? count.toFixed(1) : Math.round(count)} ms`;
}

/** `just now`, `5 min`, `3 h`, `12 days`: how long ago an instant was. */
export function age(instant: number, now = Date.now()): string {
  const seconds = Math.max(0, (now - instant) / 1_000);
  if (seconds < 60) return "just now";
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  const days = Math.floor(seconds / 86_400);
  return `${days} ${days === 1 ? "day" : "days"}`;
}

/** `2026-11-25 04:05:37`, in the time zone of the reader. */
export function instant(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace("T", " ");
}
