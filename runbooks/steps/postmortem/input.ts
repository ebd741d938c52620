import { z } from 'zod';

/** Drafts the postmortem and its action items; takes no input. */
export const postmortemInput = z.strictObject({});
