/** How a path says that it goes up, in every spelling that some server has taken for one. */
export const CLIMBS = [
  '../',
  '..%2F',
  '%2e%2e/',
  '%2E%2E%2F',
  '..%252F',
  '..;/',
  '..\\',
  '..%5c',
  '..%00/',
] as const
