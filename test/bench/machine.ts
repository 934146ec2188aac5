/*
 * Where the figures were made.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

const packages = ['ws', 'express-session', 'cookie', 'cookie-signature', 'socket.io', 'redis', 'connect-redis']

export function machineAndVersions(): string {
  const processors = cpus()
  const machine = `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown CPU'}`
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return [
    `Node ${process.versions.node}`,
    `${process.platform} ${process.arch}`,
    machine,
    memory,
    ...packages.map((name) => `${name} ${versionOf(name)}`),
  ].join(', ')
}

/** So many connections can one process hold here, a few files of its own aside. */
export function socketsMost(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return Number(limit ?? 1_024) - 200
  } catch {
    // No such file on this system: what most systems allow.
    return 1_024 - 200
  }
}

/* Not every package lets its package.json be imported. */
function versionOf(name: string): string {
  const require = createRequire(import.meta.url)
  for (let folder = dirname(require.resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: string
        version?: string
      }
      if (found.name === name && found.version !== undefined) return found.version
    } catch {
      // Further up.
    }
  }
  return 'unknown'
}
