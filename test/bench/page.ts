/*
 * docs/benchmarks.md, as the command writes it.
 */
import { aimText, asMarkdown, isMet, type Table } from './table.js'

export interface Figures {
  readonly date: string
  readonly machine: string
  readonly quick: boolean
  readonly command: string
  readonly tables: readonly Table[]
  /** The chart's file, as seen from the page. */
  readonly chart?: string | undefined
}

/* What profiles say of the aims that are missed; it holds no figure that is not in a table. */
const floors = `How far down they can go, the rows by hand show. In memory most of what is left of \`authenticate()\` is the HMAC of
node:crypto, the store's own JSON.parse and its turn of the event loop; on Redis, one at a time, it is the write to the socket.
Over TCP no function of the bridge stands out: each of its objects and listeners costs a little. An idle socket's memory is
the session's own data first, then the state that its connections share, and two listeners on the socket.`

export function asPage({ date, machine, command, tables, chart }: Figures): string {
  const aims = tables.flatMap(({ title, aims = [] }) => aims.map((aim) => ({ ...aim, what: `${title}: ${aim.what}` })))
  const missed = aims.filter((aim) => !isMet(aim))
  return [
    '# Benchmarks',
    '',
    `Printed on ${date.slice(0, 10)}, and this page written, by`,
    `\`${command}\`.`,
    '',
    'Figures of one machine: what carries over to another are the ratios, which are medians of those within single rounds, in',
    'which every candidate has its turn.',
    '',
    `> ${machine}`,
    '',
    'The candidates: ws without any session, which is the limit; the express-session middleware replayed on the upgrade, as',
    'the documentation of ws shows it; the least that one can write by hand (parse the cookie, check the signature, ask the',
    'store); Socket.IO with the middleware on its engine; and the bridge, which as the only one checks the Origin, bounds the',
    'handshake in time and number, and goes on watching the session.',
    '',
    `Of ${aims.length} aims ${aims.length - missed.length} are met.${missed.length === 0 ? '' : ' Not met:'}`,
    ...(missed.length === 0 ? [] : ['', ...missed.map((aim) => `- ${aimText(aim)}`)]),
    '',
    ...(missed.length === 0 ? [] : [floors, '']),
    ...(chart === undefined ? [] : [`![The ratios as bars](${chart})`, '']),
    ...tables.flatMap((table) => [asMarkdown(table), '']),
  ].join('\n')
}
