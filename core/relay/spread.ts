/** Over what time a fleet comes back, so that its devices are not in each other's way. */

/** Milliseconds from one sign-in to the next at which a relay still has time for dials. */
const SIGN_IN_COST = 2.5;
/** Milliseconds over which a fleet spreads: below the first it need not, above the other it waits. */
const LEAST_SPREAD = 250;
const MOST_SPREAD = 20_000;

/** Milliseconds for so many devices; 0: they may all come at once. */
export function spreadOf(devices: number): number {
  const spread = Math.min(devices * SIGN_IN_COST, MOST_SPREAD);
  return spread < LEAST_SPREAD ? 0 : spread;
}
