/** Days as configuration writes them, Monday first. */
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

export interface WorkingHours {
  /** IANA name: `Europe/Berlin`. */
  timeZone: string;
  days: readonly Day[];
  /** Minutes after midnight, by the wall clock; `to` at or before `from` is on the next day (a night shift). */
  fromMinute: number;
  toMinute: number;
}

const MINUTES_A_DAY = 24 * 60;

/**
 * Whether a moment lies within working hours, by the wall clock there: 09:00 is 09:00 on both sides of a change to or from
 * daylight saving time. Where an hour is repeated both of them count, and one that is skipped never comes.
 *
 * Time zones come from the ICU data of Node through Intl: their rules change with releases, so this is never called by
 * workflow code, whose replay would then decide otherwise. The activity resolvePolicy calls it, and its answer is history.
 * @param atMs epoch ms.
 */
export function isWithinWorkingHours(hours: WorkingHours, atMs: number): boolean {
  const { day, minute } = wallClock(hours.timeZone, atMs);
  const today = DAYS[day] as Day;
  if (hours.fromMinute < hours.toMinute) {
    return hours.days.includes(today) && minute >= hours.fromMinute && minute < hours.toMinute;
  }
  // A shift belongs to the day on which it begins.
  const yesterday = DAYS[(day + DAYS.length - 1) % DAYS.length] as Day;
  return (
    (hours.days.includes(today) && minute >= hours.fromMinute) ||
    (hours.days.includes(yesterday) && minute < hours.toMinute)
  );
}

/** `HH:MM` in minutes after midnight; undefined where it is none. 24:00 is the end of the day. */
export function parseMinute(text: string): number | undefined {
  const match = /^(\d{2}):(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const [hour, minute] = [Number(match[1]), Number(match[2])];
  const total = hour * 60 + minute;
  return minute < 60 && total <= MINUTES_A_DAY ? total : undefined;
}

/** Whether Intl knows the zone. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function wallClock(timeZone: string, atMs: number): { day: number; minute: number } {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(atMs);
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? '';
  const day = DAYS.indexOf(part('weekday').toLowerCase() as Day);
  return { day, minute: Number(part('hour')) * 60 + Number(part('minute')) };
}
