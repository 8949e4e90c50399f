import { OptionError } from '../errors.ts';

export interface CarbonOptions {
  /** Hours that the run took, times the devices that it took: GPU hours. */
  hours: number;
  /** Power of one device in watts. */
  watts: number;
  /** What the data centre takes for each watt of the devices. Default 1.1, as in the paper. */
  pue?: number;
  /** Grid intensity in kg of CO₂ equivalents per kWh. Default 0.385, the average of the US, as in the paper. */
  kgPerKwh?: number;
}

export interface Carbon {
  kWh: number;
  /** kg of CO₂ equivalents. */
  kg: number;
}

/**
 * Energy and emissions of a run: kWh = hours · watts · PUE / 1000, kg = kWh · intensity (Touvron et al. 2023a, section 6;
 * table 2 of Llama 2 is made so, with tonnes cut off after two decimals). What hardware, its making and cooling beyond the
 * PUE emit is not in it.
 *
 * @throws OptionError 'option-range'
 */
export function carbon({ hours, watts, pue = 1.1, kgPerKwh = 0.385 }: CarbonOptions): Carbon {
  for (const [what, value, min] of [
    ['hours', hours, 0],
    ['watts', watts, 0],
    ['pue', pue, 1],
    ['kgPerKwh', kgPerKwh, 0],
  ] as const) {
    if (Number.isFinite(value) && value >= min) continue;
    throw new OptionError('option-range', {
      where: `carbon: ${what}`,
      expected: `a number from ${min}`,
      got: String(value),
      hint: 'Hours and watts of the devices, the PUE (1 or more), and the grid’s kg per kWh.',
    });
  }
  const kWh = (hours * watts * pue) / 1000;
  return { kWh, kg: kWh * kgPerKwh };
}
