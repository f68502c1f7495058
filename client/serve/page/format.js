// Writes numbers, times, sizes and names as an operator reads them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

// 1234567 -> "1,234,567"; what is unknown is a dash.
export function count(value) {
  return value === null || value === undefined ? '–' : whole.format(Number(value));
}

// 41234 -> "41.2K", for axes.
export function brief(value) {
  return short.format(Number(value));
}

// "1 row", "2 rows"
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${Number(value) === 1 ? one : many}`;
}

export function bytes(value) {
  if (value === null || value === undefined) {
    return '–';
  }
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = Number(value);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? whole.format(size) : size.toFixed(1)} ${units[unit]}`;
}

// 0.42 -> "0.42 s", 75 -> "1 min 15 s", 7265 -> "2 h 1 min"
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(Number(seconds))) {
    return '–';
  }
  const value = Math.max(0, Number(seconds));
  if (value < 10) {
    return `${value < 1 ? value.toFixed(2) : value.toFixed(1)} s`;
  }
  const total = Math.round(value);
  if (total < 60) {
    return `${total} s`;
  }
  if (total < 3600) {
    return total % 60 === 0 ? `${total / 60} min` : `${Math.floor(total / 60)} min ${total % 60} s`;
  }
  const minutes = Math.round(total / 60);
  if (minutes < 1440) {
    return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

// 103 -> "1:43"
export function countdown(seconds) {
  const total = Math.max(0, Math.ceil(seconds));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const rest = String(total % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

// Whole per cent; 100 only if everything is done, 0 only if nothing is.
export function percent(part, total) {
  if (!(total > 0)) {
    return '–';
  }
  const value = (Number(part) / Number(total)) * 100;
  if (part > 0 && value < 1) {
    return '<1%';
  }
  return `${part < total ? Math.min(Math.floor(value), 99) : 100}%`;
}

// "18:33:04"
export function clock(when) {
  const date = new Date(when);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

// "2026-11-21 18:33:04", in the time zone of the reader
export function dateTime(when) {
  const date = new Date(when);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date)}`;
}

export function ago(when) {
  const seconds = Math.round((Date.now() - new Date(when).getTime()) / 1000);
  if (seconds < 0) {
    return dateTime(when);
  }
  if (seconds < 5) {
    return 'just now';
  }
  if (seconds < 60) {
    return `${seconds} s ago`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min ago`;
  }
  if (seconds < 86400) {
    return `${Math.floor(seconds / 3600)} h ago`;
  }
  return seconds < 86400 * 7 ? `${Math.floor(seconds / 86400)} d ago` : dateTime(when).slice(0, 10);
}

// What shows nothing or turns text around; a joiner counts where letters beside it have nothing to join.
const hidden = [
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f]/u,
  /[\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]/u,
  /(?<=^|[\0-\x7f\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}])[\u200c\u200d]/u,
  /[\u200c\u200d](?=$|[\0-\x7f\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}])/u,
].map((one) => one.source);

export const hiddenInText = new RegExp(hidden.join('|'), 'gu');
// A name has one line: an end of line and a tab would pass for a space.
export const hiddenInNames = new RegExp([...hidden, '[\\t\\n]'].join('|'), 'gu');

// "a\u200bb" for a character of no width between a and b
export function escaped(character) {
  const digits = character.codePointAt(0).toString(16).padStart(4, '0');
  return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits}`;
}

// A name for attributes and sentences; where it stands as text of its own, plainName() of values.js marks what it writes out.
export function writtenOut(text, pattern = hiddenInNames) {
  return String(text ?? '').replace(pattern, escaped);
}

function two(number) {
  return String(number).padStart(2, '0');
}
