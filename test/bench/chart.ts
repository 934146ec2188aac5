/*
 * The tables as bars.
 */
import type { Table } from './table.js'

const nameWidth = 290
const barWidth = 420
const rowHeight = 22
const titleHeight = 40

export function asChart(title: string, tables: readonly Table[]): string {
  const drawn = tables.filter(({ drawn }) => drawn !== undefined)
  const height = drawn.reduce((sum, { rows }) => sum + titleHeight + rows.length * rowHeight, 50)
  const width = nameWidth + barWidth + 90
  let y = 50
  const parts = drawn.map((table) => {
    const part = bars(table, y)
    y += titleHeight + table.rows.length * rowHeight
    return part
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="12" y="26" font-size="11" fill="#555">${escaped(title)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function bars({ title, columns, rows, drawn }: Table, top: number): string {
  const column = columns.findIndex(({ name }) => name === drawn)
  const digits = columns[column]?.digits ?? 0
  const most = Math.max(...rows.map(({ values }) => values[column] ?? 0))
  const lines = rows.map(({ name, values }, index) => {
    const value = values[column]
    if (value === undefined) return ''
    const y = top + titleHeight - 14 + index * rowHeight
    const length = Math.max((Math.max(value, 0) / most) * barWidth, 1)
    const fill = /bridge|context/.test(name) ? '#1f6feb' : '#9aa4b2'
    return [
      `<text x="${nameWidth - 8}" y="${y + 12}" text-anchor="end">${escaped(name)}</text>`,
      `<rect x="${nameWidth}" y="${y}" width="${length.toFixed(1)}" height="16" rx="2" fill="${fill}"/>`,
      `<text x="${(nameWidth + length + 6).toFixed(1)}" y="${y + 12}" fill="#333">${value.toFixed(digits)}</text>`,
    ].join('')
  })
  return [
    `<text x="12" y="${top + 12}" font-weight="600">${escaped(title)} <tspan fill="#555" font-weight="400">(${escaped(drawn ?? '')})</tspan></text>`,
    ...lines,
  ].join('\n')
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
