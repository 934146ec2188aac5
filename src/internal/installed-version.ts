/*
 * Which version of a package the app has, for messages that say what is wrong with it.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, sep } from 'node:path'

/** As found from the process's working directory; undefined where that cannot be told, in a bundle for example. */
export function installedVersion(name: string): string | undefined {
  try {
    const main = createRequire(join(process.cwd(), 'package.json')).resolve(name)
    const folder = join('node_modules', name) + sep
    const end = main.lastIndexOf(folder) + folder.length
    const { version } = JSON.parse(readFileSync(join(main.slice(0, end), 'package.json'), 'utf8')) as {
      version: string
    }
    return version
  } catch {
    return undefined
  }
}

/** @throws {TypeError} that names the version found, where this one of ws lacks what the feature stands on. */
export function assertWs(feature: string, needed: string, isThere: boolean): void {
  if (isThere) return
  throw new TypeError(`${feature} needs ws ${needed} or newer, and found ${installedVersion('ws') ?? 'an older one'}.`)
}
