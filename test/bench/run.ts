/*
 * `npm run bench`, `npm run bench -- --quick`, `npm run bench -- authenticate memory --json figures.json`.
 */
import { writeFile } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { parseArgs } from 'node:util'

import { format, resolveConfig } from 'prettier'

import { Bench, type Workload } from './bench.js'
import { asChart } from './chart.js'
import { machineAndVersions } from './machine.js'
import { asPage, type Figures } from './page.js'
import { asText } from './table.js'
import { authenticate } from './workloads/authenticate.js'
import { channels } from './workloads/channels.js'
import { coldStart } from './workloads/cold-start.js'
import { growth } from './workloads/growth.js'
import { handshake } from './workloads/handshake.js'
import { hearing } from './workloads/hearing.js'
import { keepAlive } from './workloads/keep-alive.js'
import { memory } from './workloads/memory.js'
import { postgres } from './workloads/postgres.js'
import { reading } from './workloads/reading.js'
import { revalidation } from './workloads/revalidation.js'
import { storm } from './workloads/storm.js'
import { updates } from './workloads/updates.js'
import { users } from './workloads/users.js'

const workloads: readonly Workload[] = [
  authenticate,
  handshake,
  coldStart,
  memory,
  growth,
  reading,
  hearing,
  keepAlive,
  revalidation,
  storm,
  updates,
  channels,
  postgres,
  users,
]

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
    markdown: { type: 'string' },
  },
})
const unknown = positionals.filter((name) => !workloads.some((workload) => workload.name === name))
if (unknown.length > 0) {
  console.error(`No workload ${unknown.join(', ')}. There are: ${workloads.map(({ name }) => name).join(', ')}.`)
  process.exit(1)
}

const machine = machineAndVersions()
console.log(machine)
const bench = new Bench(options.quick, (table) => {
  console.log(`\n${asText(table)}`)
})
try {
  for (const workload of workloads) {
    if (positionals.length === 0 || positionals.includes(workload.name)) await workload.run(bench)
  }
} finally {
  await bench.close()
}
const { tables, quick } = bench
const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
const figures: Figures = { date: new Date().toISOString(), machine, quick, command, tables, chart: chartOf(options) }
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
if (options.svg !== undefined) await writeFile(options.svg, asChart(machine, tables))
if (options.markdown !== undefined) await writePage(options.markdown, asPage(figures))
console.log(`\n${Math.round(performance.now() / 1000)} s`)

function chartOf({ svg, markdown }: { svg?: string | undefined; markdown?: string | undefined }): string | undefined {
  return svg === undefined || markdown === undefined ? undefined : relative(dirname(markdown), svg)
}

async function writePage(file: string, text: string): Promise<void> {
  await writeFile(file, await format(text, { ...(await resolveConfig(file)), parser: 'markdown' }))
}
