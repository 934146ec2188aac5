/*
 * What protects the page itself: the bridge guards the sockets, these two guard everything else.
 */
import type { RequestHandler } from 'express'

/* Nothing inline and nothing from elsewhere, so that a name with markup in it could do nothing, even if a script forgot to
   escape it. Pico's icons are data: URLs. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** For every answer. */
export const securityHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'Content-Security-Policy': policy,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
  })
  next()
}

/**
 * Other sites can neither log a visitor in under another name nor log one out: browsers say where a request comes from.
 * SameSite does not do it, since a page on another port is of the same site.
 */
export const fromThisSite: RequestHandler = (request, response, next) => {
  const { origin, host, 'sec-fetch-site': site } = request.headers
  const isReading = request.method === 'GET' || request.method === 'HEAD'
  // Sec-Fetch-Site comes over https and from localhost only, Origin with every POST. Without either it is no browser.
  const isOurs = site === undefined ? origin === undefined || hostOf(origin) === host : site === 'same-origin'
  if (isReading || isOurs) next()
  else response.status(403).json({ error: 'Only this site may do that.' })
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
