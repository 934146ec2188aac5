// generated Cookie headers, full of what breaks parsers.
import { sign } from 'cookie-signature'
import fc, { type Arbitrary } from 'fast-check'

export interface HeaderOptions {
  name: string
  /** What the bridge verifies with; a stranger's is added. */
  secrets: readonly Parameters<typeof sign>[1][]
}

const { constantFrom } = fc

function weighted<T>(...arbitraries: [weight: number, arbitrary: Arbitrary<T>][]): Arbitrary<T> {
  return fc.oneof(...arbitraries.map(([weight, arbitrary]) => ({ weight, arbitrary })))
}

/** Any text that is rich in the characters that mean something in a Cookie header. */
const shards = 'a B 7 . : s: = " % %20 %zz %E0 , \\ / + é'.split(' ').concat(' ', '\t')
const junk = fc.array(constantFrom(...shards), { maxLength: 6 }).map((parts) => parts.join(''))

const sessionID = weighted(
  [6, constantFrom('k3Y_d-9', 'Zl8SRHuG2nMvUr3IhbEzFTCWD1kqPJ0x')],
  [2, constantFrom('a.b', '.a.', 'a..b', '..', '.')],
  [2, constantFrom('sïd', '会話', '🔑', '\u0000', 'a\u0000b', '\ud800')],
  [2, constantFrom('a;b', 'a=b', 'a b', ' a ', '"a"', '%', '%41', 's:a', 's%3Aa', '__proto__')],
  [1, fc.constant('')],
  [2, junk],
)

type Rewrite = (text: string) => string
const encode: Rewrite = (value) => encodeURIComponent(Buffer.from(value).toString())

/** The same value, as careful and careless clients write it. */
const writings = weighted<Rewrite>(
  [6, fc.constant(encode)],
  [2, fc.constant((value) => value)],
  [1, fc.constant((value) => encode(value).replaceAll(/%../g, (triplet) => triplet.toLowerCase()))],
  [1, fc.constant((value) => encode(value).replaceAll('%3A', ':').replaceAll('%2F', '/'))],
  [1, fc.constant((value) => encode(value).replaceAll(/[a-y]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`))],
  [1, fc.constant((value) => encode(encode(value)))],
  [1, constantFrom('%', '%zz', '%E0%A4', '%C3').map((malformed) => (value) => encode(value) + malformed)],
)

/** Another value, a little beside it. */
const tamperings = fc.oneof(
  fc.nat(50).map(
    (at): Rewrite =>
      (value) =>
        value.slice(0, at),
  ),
  fc.nat(50).map(
    (at): Rewrite =>
      (value) =>
        value.slice(0, at) + value.slice(at + 1),
  ),
  fc.nat(50).map(
    (at): Rewrite =>
      (value) =>
        `${value.slice(0, at)}x${value.slice(at)}`,
  ),
  constantFrom<Rewrite>(
    (value) => `${value}=`,
    (value) => value.toUpperCase(),
    (value) => value.replace('.', ''),
  ),
  constantFrom('s:s:', 'S:', ' s:', 's', ':', 's%3A', '').map(
    (prefix): Rewrite =>
      (value) =>
        prefix + value.slice(2),
  ),
)

function rewritten(texts: Arbitrary<string>, rewrites: Arbitrary<Rewrite>): Arbitrary<string> {
  return fc.tuple(texts, rewrites).map(([text, rewrite]) => rewrite(text))
}

function valuesOf({ secrets }: HeaderOptions): Arbitrary<string> {
  const signed = fc
    .tuple(sessionID, constantFrom(...secrets, secrets[0] as string, "a stranger's"))
    .map(([id, secret]) => `s:${sign(id, secret)}`)
  return weighted(
    [16, rewritten(signed, writings)],
    [3, rewritten(rewritten(signed, tamperings), writings)],
    [2, junk],
    [1, fc.constant('')],
  )
}

function quoted(value: Arbitrary<string>): Arbitrary<string> {
  return fc
    .tuple(
      value,
      weighted(
        [8, fc.constant('v')],
        [3, fc.constant('"v"')],
        [1, constantFrom('"v', 'v"', '""v""', '"v;v"', '" v "', '"', ' v\t', 'v x')],
      ),
    )
    .map(([text, shape]) => shape.replaceAll('v', () => text))
}

function namesLike(name: string): Arbitrary<string> {
  const others = [`${name}2`, name.slice(0, -1), `x${name}`, `${name}.sig`, name.toUpperCase(), `"${name}"`, `${name};`]
  const special = [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '',
    '$Version',
    encodeURIComponent(`${name}.`),
  ]
  return weighted([16, fc.constant(name)], [3, constantFrom(...others)], [2, constantFrom(...special)], [1, junk])
}

/** One pair, from `name=value` to what is hardly one. */
function pairsOf(options: HeaderOptions): Arbitrary<string> {
  const equals = weighted(
    [12, fc.constant('=')],
    [2, constantFrom(' = ', '\t=', '=\t ')],
    [1, constantFrom('', '==', ' ', ':')],
  )
  return fc.tuple(namesLike(options.name), equals, quoted(valuesOf(options))).map((parts) => parts.join(''))
}

/** The header that a server sees: pairs, joined well or badly; now and then repeated headers, which Node joins with '; '. */
export function cookieHeaders(options: HeaderOptions): Arbitrary<string> {
  const separator = weighted(
    [10, fc.constant('; ')],
    [3, constantFrom(';', ' ; ', ';\t', ';;', '; ;')],
    [1, constantFrom(',', ' ', '')],
  )
  const pairs = fc.array(fc.tuple(pairsOf(options), separator), { minLength: 1, maxLength: 4 })
  return fc.tuple(pairs, fc.boolean()).map(([parts, isOpen]) => {
    const header = parts.flat().join('')
    return isOpen ? header : header.replace(/[; \t,]+$/, '')
  })
}
