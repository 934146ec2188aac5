// Package managers and runtimes that npm has: pnpm, Yarn, Bun and Deno.
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { install } from './process.js'

/** Where each is. */
export interface Tools {
  readonly pnpm: string
  /** A script. */
  readonly yarn: string
  readonly bun: string
  readonly deno: string
}

/** Their binaries are packages of their own, which their scripts would only link. */
export async function installTools(folder: string): Promise<Tools | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  mkdirSync(folder)
  const binaries = ['@pnpm/exe.linux-x64', '@oven/bun-linux-x64@1.4', '@deno/linux-x64-glibc@2.9']
  await install(folder, [...binaries, '@yarnpkg/cli-dist'])
  const modules = join(folder, 'node_modules')
  const tools = {
    pnpm: join(modules, '@pnpm/exe.linux-x64/pnpm'),
    bun: join(modules, '@oven/bun-linux-x64/bin/bun'),
    deno: join(modules, '@deno/linux-x64-glibc/deno'),
  }
  for (const path of Object.values(tools)) chmodSync(path, 0o755)
  return { ...tools, yarn: join(modules, '@yarnpkg/cli-dist/bin/yarn.js') }
}
