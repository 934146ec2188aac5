// the user that a database server of the tests runs as: these servers refuse to run as root.
import { execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What `spawn` is told; empty where the tests themselves do not run as root. */
export interface ServerUser {
  readonly uid?: number
  readonly gid?: number
}

/** @param names users to look for, in this order, where the tests run as root */
export function serverUser(names: readonly string[]): ServerUser {
  if (process.getuid?.() !== 0) return {}
  for (const name of names) {
    try {
      return { uid: idOf('-u', name), gid: idOf('-g', name) }
    } catch {
      // There is no such user.
    }
  }
  throw new Error(`The tests run as root, and there is none of the users ${names.join(', ')} to run a server as.`)
}

/** A new folder that belongs to that user. */
export async function folderOf({ uid, gid }: ServerUser, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `ws-session-bridge-${name}-`))
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
  return folder
}

function idOf(which: '-u' | '-g', name: string): number {
  return Number(execFileSync('id', [which, name], { stdio: ['ignore', 'pipe', 'ignore'] }).toString())
}
