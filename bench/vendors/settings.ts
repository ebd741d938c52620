import type { VendorName } from '../../demo/run/vendor-outages.ts';
import type { OutageName } from '../../demo/vendors/outages.ts';

/** What all vendors do at once while the disturbed incidents run. */
export interface Setting {
  name: string;
  outages: Record<VendorName, OutageName>;
}

export const SETTINGS: readonly Setting[] = [
  {
    name: 'down',
    outages: {
      pager: 'refused',
      slack: 'reset',
      tickets: 'refused',
      samples: 'reset',
      notifications: 'refused',
    },
  },
  {
    name: 'slow',
    outages: { pager: 'late', slack: 'trickle', tickets: 'late', samples: 'trickle', notifications: 'late' },
  },
  {
    name: 'nonsense',
    outages: {
      pager: 'html',
      slack: 'huge',
      tickets: 'wrong-json',
      samples: 'not-found',
      notifications: 'error-500',
    },
  },
];
