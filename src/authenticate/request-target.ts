/*
 * The request target of an upgrade, read by hand.
 */

/**
 * The pathname exactly as it was sent: nothing decoded, no dot segments removed (RFC 9112, section 3.2).
 *
 * `new URL(target, base)` throws on `//[` and takes the host from `//evil/chat`; neither happens here.
 */
export function pathnameOf(target: string | undefined): string | undefined {
  if (target === undefined || hasNoPlaceInTarget(target)) return undefined
  if (target.startsWith('/')) return isReadableOriginForm(target) ? upToQuery(target) : undefined
  return pathnameOfAbsoluteForm(target)
}

/* Control characters, blanks and fragments are never part of a target. */
function hasNoPlaceInTarget(target: string): boolean {
  return /[^!"$-~\u0080-\uffff]/.test(target)
}

/* `//host/path` is a path here, whoever reads it as a host; if it cannot even be that, it is junk. */
function isReadableOriginForm(target: string): boolean {
  return !target.startsWith('//') || URL.canParse(`http:${target}`)
}

/* What clients send to a proxy, and every server must accept (RFC 9112, section 3.2.2). */
function pathnameOfAbsoluteForm(target: string): string | undefined {
  const authority = /^(?:https?|wss?):\/\/[^/?]+/i.exec(target)
  if (authority === null || !URL.canParse(target)) return undefined
  const pathname = upToQuery(target.slice(authority[0].length))
  return pathname === '' ? '/' : pathname
}

function upToQuery(target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}
