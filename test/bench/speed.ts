/*
 * The few ratios that the README shows.
 */
import type { Figures } from './page.js'
import type { Table } from './table.js'

const begin = '<!-- What stands from here on is written by npm run bench -- --readme README.md -->'
const end = '<!-- Up to here. -->'

/** A line of the table: which column of which table, and the rows that stand under each heading. */
interface Line {
  readonly what: string
  readonly title: string
  readonly column: string
  /** By hand, the middleware, the bridge, Socket.IO. */
  readonly rows: readonly (string | undefined)[]
}

const byHand = 'by hand: parse, unsign, store.get'
const middleware = 'express-session middleware'
const socketIO = 'Socket.IO, engine.use(session)'
const onRedis = 'bridge, redisLiveStore'

const lines: readonly Line[] = [
  ...['in memory, 1 at once', 'in memory, 64 at once', 'on Redis, 1 at once', 'on Redis, 64 at once'].map(
    (where): Line => ({
      what: `\`authenticate()\`, ${where}`,
      title: `authenticate, ${where}`,
      column: '÷ middleware',
      rows: [byHand, middleware, where.startsWith('on Redis') ? onRedis : 'bridge'],
    }),
  ),
  ...['in memory', 'on Redis'].map((where): Line => ({
    what: `a handshake over TCP, ${where}`,
    title: `handshakes over TCP, ${where}`,
    column: '÷ ws',
    rows: [byHand, middleware, where === 'on Redis' ? onRedis : 'bridge', socketIO],
  })),
  {
    what: 'a message whose handler reads the session as it is now, on Redis',
    title: 'reading the session at every message',
    column: '÷ ws',
    rows: [undefined, 'session.reload(), on Redis', 'bridge, context.session, on Redis'],
  },
]

/** The README with the figures of this run. */
export function withSpeed(readme: string, { date, machine, tables }: Figures): string {
  const from = readme.indexOf(begin)
  const to = readme.indexOf(end)
  if (from === -1 || to < from) throw new Error('The README has no place for the figures.')
  const shown = lines.flatMap((line) => lineOf(line, tables))
  const table = [
    '| server CPU | is 1 | by hand | middleware | bridge | Socket.IO |',
    '| --- | --- | --: | --: | --: | --: |',
    ...shown,
  ]
  const source = `Printed on ${date.slice(0, 10)} by \`npm run bench -- --readme README.md\`, ${machine.split(', ').slice(0, 3).join(', ')}.`
  return `${readme.slice(0, from)}${begin}\n\n${table.join('\n')}\n\n${source}\n\n${readme.slice(to)}`
}

function lineOf({ what, title, column, rows }: Line, tables: readonly Table[]): string[] {
  const table = tables.find((table) => table.title === title)
  if (table === undefined) return []
  const index = table.columns.findIndex(({ name }) => name === column)
  const cells = [0, 1, 2, 3].map((place) => {
    const value = table.rows.find(({ name }) => name === rows[place])?.values[index]
    return value?.toFixed(2) ?? ''
  })
  return [`| ${[what, column.replace('÷ ', ''), ...cells].join(' | ')} |`]
}
