/*
 * The list of origins that a user may set.
 */

/** What a list allows. */
export interface OriginList {
  /** Whether 'same-origin' is in it. */
  readonly sameOrigin: boolean
  /** http(s) origins as a browser writes them. */
  readonly web: ReadonlySet<string>
  /** Origins of app shells, and 'null', exactly as they are sent. */
  readonly exact: ReadonlySet<string>
}

/** @throws {TypeError} for an entry that no browser or app shell sends as an Origin. */
export function parseOriginList(origins: readonly string[]): OriginList {
  const list = { sameOrigin: false, web: new Set<string>(), exact: new Set<string>() }
  for (const entry of origins) {
    if (entry === 'same-origin') list.sameOrigin = true
    else if (isExact(entry)) list.exact.add(entry)
    else list.web.add(canonicalOrigin(entry))
  }
  return list
}

/** Schemes whose origins are compared in their canonical form, and those that a browser never sends. */
const notAppScheme = /^(?:https?|wss?):/i

/* 'capacitor://localhost', 'app://-', 'file://', 'chrome-extension://abc', 'null'. */
function isExact(entry: unknown): boolean {
  if (entry === 'null') return true
  return typeof entry === 'string' && !notAppScheme.test(entry) && /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\*,]*$/i.test(entry)
}

/*
 * The origin as a browser writes it: 'https://A.com:443' → 'https://a.com'.
 */
function canonicalOrigin(entry: string): string {
  if (typeof entry !== 'string' || !/^https?:\/\/[^\s/?#@\\*,]+$/i.test(entry) || !URL.canParse(entry)) {
    throw new TypeError(
      `Option \`origins\`: ${JSON.stringify(entry)} is no origin. Write it as a browser sends it, such as ` +
        "'https://app.example.com' or 'capacitor://localhost' (no path, no wildcard); 'same-origin' and 'null' may stand " +
        'in the list, too. For rules of your own pass a function.',
    )
  }
  return new URL(entry).origin
}
