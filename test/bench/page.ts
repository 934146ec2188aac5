/*
 * docs/benchmarks.md, as the command writes it.
 */
import { asSummary } from './summary.js'
import { asMarkdown, type Table } from './table.js'

export interface Figures {
  readonly date: string
  readonly machine: string
  readonly quick: boolean
  readonly command: string
  readonly tables: readonly Table[]
  /** The chart's file, as seen from the page. */
  readonly chart?: string | undefined
}

export function asPage({ date, machine, quick, command, tables, chart }: Figures): string {
  return [
    '# Benchmarks',
    '',
    `Printed on ${date.slice(0, 10)} by \`${command}\`, on this machine:`,
    '',
    `> ${machine}`,
    '',
    'To print them on yours, in about a minute: `npm run bench -- --quick`.',
    '',
    '## How it is measured',
    '',
    '- Every server, and every group of clients, is a process of its own. CPU is that of the server, user and system time together.',
    '- Code is compiled before it is measured, except where the title says that the process is new. Between two turns there is a minor',
    '  garbage collection at most: a full one throws compiled code away.',
    '- Clients stay awake while handshakes are measured: on one machine, a server would pay for waking them with every answer.',
    '- Every candidate has its turn in every round, so whatever else the machine does affects all of them.',
    '- A figure in µs is the median of all rounds. A ratio is the median of the ratios within each round, so it differs a little',
    '  from the quotient of two figures beside it. The ratios are what carries over to another machine.',
    '- **ws** has no session at all; it is the limit.',
    '- **By hand** is the least that one can write: parse the cookie, check the signature, ask the store. It checks no Origin, has no',
    '  deadline, and does not hear of a logout.',
    '- **Middleware** is the express-session middleware on the upgrade, as the example of ws has it.',
    '- **Socket.IO** runs with the middleware on its engine.',
    '- **Bridge** is this package. It also checks the Origin, limits handshakes in time and number, and follows the session.',
    '',
    ...(quick
      ? ['This was the quick form: fewer rounds and fewer sockets, so small differences mean nothing.', '']
      : []),
    '## In short',
    '',
    asSummary(tables),
    '',
    ...(chart === undefined ? [] : [`![The ratios as bars](${chart})`, '']),
    '## All figures',
    '',
    ...tables.flatMap((table) => [asMarkdown(table), '']),
  ].join('\n')
}
