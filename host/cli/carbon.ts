import { carbon as carbonOf } from '../train/index.ts';
import { type Command, command, flag, number, UsageError } from './args.ts';
import { jsonLine, write } from './terminal.ts';

export const carbon: Command = command({
  name: 'cria carbon',
  positionals: [],
  summary: 'Tell the energy of a run and the CO2 that it stands for',
  notes:
    'energy = hours x devices x watts x PUE, CO2 = energy x intensity: the method of the Llama papers, and their\n' +
    'values by default. It leaves out what making the devices took.',
  options: {
    hours: number('H', { min: 0 }, 'how long the run took'),
    seconds: number('S', { min: 0 }, 'the same in seconds'),
    watts: number('W', { min: 0 }, 'power of one device'),
    devices: number('N', { min: 0 }, 'devices that ran; default 1'),
    pue: number('X', { min: 1 }, 'watts that the data centre takes for one of the devices; default 1.1'),
    intensity: number('X', { min: 0 }, 'kg of CO2 equivalents per kWh of the grid; default 0.385'),
    json: flag('print one JSON object'),
  },
  run: async ({ hours, seconds, watts, devices = 1, pue, intensity, json }) => {
    if ((hours === undefined) === (seconds === undefined)) throw new UsageError('give --hours or --seconds');
    if (watts === undefined) throw new UsageError('--watts is missing');
    const result = carbonOf({
      hours: (hours ?? seconds! / 3600) * devices,
      watts,
      ...(pue !== undefined && { pue }),
      ...(intensity !== undefined && { kgPerKwh: intensity }),
    });
    const { kWh, kg } = result;
    const amount = (value: number, unit: string, large: string) =>
      value >= 1000 ? `${(value / 1000).toFixed(2)} ${large}` : `${value.toPrecision(3)} ${unit}`;
    const said = `${amount(kWh, 'kWh', 'MWh')}, ${amount(kg, 'kg', 't')} of CO2 equivalents\n`;
    await write(json ? jsonLine(result) : said);
  },
});
