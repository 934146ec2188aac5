/*
 * The few ratios that stand at the top of docs/benchmarks.md.
 */
import type { Table } from './table.js'

/** A line of the summary: which column of which table, and which of its rows are under each heading. */
interface Line {
  readonly what: string
  readonly title: string
  readonly column: string
  /** By hand, the middleware (or `session.reload()`), the bridge, Socket.IO. */
  readonly rows: readonly (string | undefined)[]
}

const byHand = 'by hand: parse, unsign, store.get'
const middleware = 'express-session middleware'
const socketIO = 'Socket.IO, engine.use(session)'
const onRedis = 'bridge, redisLiveStore'

const lines: readonly Line[] = [
  ...['in memory, 1 at once', 'in memory, 64 at once', 'on Redis, 1 at once', 'on Redis, 64 at once'].map(
    (where): Line => ({
      what: `authenticate, ${where}`,
      title: `authenticate, ${where}`,
      column: '÷ middleware',
      rows: [byHand, middleware, where.startsWith('on Redis') ? onRedis : 'bridge'],
    }),
  ),
  ...['in memory', 'on Redis'].map((where): Line => ({
    what: `handshake over TCP, ${where}`,
    title: `handshakes over TCP, ${where}`,
    column: '÷ ws',
    rows: [byHand, middleware, where === 'on Redis' ? onRedis : 'bridge', socketIO],
  })),
  {
    what: 'a message, reading the session, on Redis',
    title: 'reading the session at every message',
    column: '÷ ws',
    rows: [undefined, 'session.reload(), on Redis', 'bridge, context.session, on Redis'],
  },
]

export function asSummary(tables: readonly Table[]): string {
  return [
    'Server CPU, as a ratio. On Redis, the bridge runs with `redisLiveStore`. For a message, the middleware is `session.reload()`.',
    '',
    '| server CPU | is 1 | by hand | middleware | bridge | Socket.IO |',
    '| --- | --- | --: | --: | --: | --: |',
    ...lines.flatMap((line) => lineOf(line, tables)),
  ].join('\n')
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
