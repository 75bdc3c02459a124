import { pino } from 'pino';

/** A logger for tests that look at no log lines. */
export const silent = pino({ level: 'silent' });
