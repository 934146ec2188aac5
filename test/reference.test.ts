// docs/reference.md has every option, refusal, close code and public name.
import { readFileSync } from 'node:fs'
import { MemoryStore } from 'express-session'
import { describe, expect, it } from 'vitest'
import { CloseCode, createSessionBridge, type SessionBridgeOptions } from 'ws-session-bridge'
import { refusalStatus } from '../src/refusals.js'

const reference = read('docs/reference.md')

describe('docs/reference.md', () => {
  it('has a section for every option, and for no other', () => {
    // The bridge itself lists them when it meets one that it does not know.
    const options = { session: { secret: 'a secret', store: new MemoryStore() }, unknown: true } as SessionBridgeOptions
    const known = /The options are: (.*)\./.exec(messageOf(() => createSessionBridge(options)))?.[1]?.split(', ')
    expect(matchesOf('Options', /^### `(\w+)`$/gm)).toEqual(known)
  })

  it('has an entry for every refusal reason with its status, and for no other', () => {
    const entries = [...section('Refusals').matchAll(/^- \*\*`(.*?)`\*\* \((\d+)\)/gm)]
    expect(Object.fromEntries(entries.map(([, reason, status]) => [reason, Number(status)]))).toEqual(refusalStatus)
  })

  it('has an entry for every close code that the bridge sends, and its names exist', () => {
    const codes = matchesOf('Close codes', /^- \*\*(\d+)\*\*/gm).map(Number)
    expect(new Set(codes)).toEqual(new Set(Object.values(CloseCode)))
    for (const [, name = ''] of reference.matchAll(/CloseCode\.(\w+)/g)) expect(CloseCode).toHaveProperty(name)
  })

  it.each(entryPoints())('names every export of src/%s', (file) => {
    const exported = [...read(`src/${file}`).matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(
      ([, names = '']) => names.match(/\w+/g) ?? [],
    )
    expect(exported.length).toBeGreaterThan(0)
    expect(exported.filter((name) => !new RegExp(`\\b${name}\\b`).test(reference))).toEqual([])
  })

  it('estimates in docs/redis.md with the figures of docs/benchmarks.md', () => {
    const benchmarks = read('docs/benchmarks.md')
    const redis = read('docs/redis.md')
    const cellsOf = (row: string) => new RegExp(`^\\| ${row} +\\|(.*)\\|$`, 'm').exec(benchmarks)?.[1]?.split('|')
    const resident = Number(cellsOf('bridge, a session each')?.at(-1)) / 1000
    expect(redis).toContain(`20 000 sockets × ${resident.toFixed(1)} KB `)
    expect(redis).toContain(
      `1 000 000 sessions × ${Number(cellsOf("Redis' memory for a session, bytes")).toFixed()} bytes `,
    )
    const [median, most] = cellsOf('change, until heard')?.map(Number) ?? []
    expect(redis).toContain(`${median} ms in the median, ${most} ms in 99 of 100`)
  })

  it('has no line in a table that is wider than 120 columns', () => {
    expect(reference.split('\n').filter((line) => line.startsWith('|') && line.length > 120)).toEqual([])
  })
})

function entryPoints(): string[] {
  const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, unknown> }
  const paths = Object.keys(exports).filter((path) => path !== './package.json')
  return paths.map((path) => (path === '.' ? 'index.ts' : `${path.slice(2)}.ts`))
}

/** From the heading to the next one of its level. */
function section(heading: string): string {
  return new RegExp(`^## ${heading}\\n(.*?)(?=^## )`, 'ms').exec(reference)?.[1] ?? ''
}

function matchesOf(heading: string, pattern: RegExp): string[] {
  return [...section(heading).matchAll(pattern)].map(([, name = '']) => name)
}

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}

function messageOf(throwing: () => unknown): string {
  try {
    throwing()
  } catch (error) {
    return String(error)
  }
  return 'nothing was thrown'
}
