/** Two pictures on top of each other, with a slider between them, and their difference. */
import {make, picture} from './dom.js';
import {STRINGS} from './strings.js';

/** @param {{cover: ImageBitmap, stego: ImageBitmap, difference: ImageBitmap}} pictures */
export function compareView(pictures) {
  const before = picture(pictures.cover, STRINGS.before);
  const after = picture(pictures.stego, STRINGS.after);
  const difference = picture(pictures.difference, STRINGS.difference_alt);
  after.classList.add('over-it');
  difference.classList.add('over-it');
  difference.hidden = true;
  const slider = make('input', {type: 'range', min: 0, max: 100, value: 50, 'aria-label': STRINGS.slider});
  const cut = () => {
    after.style.setProperty('--cut', `${slider.value}%`);
    slider.style.setProperty('--cut', `${slider.value}%`);
  };
  slider.oninput = cut;
  cut();
  const toggle = make('input', {type: 'checkbox'});
  toggle.onchange = () => {
    difference.hidden = !toggle.checked;
    slider.disabled = toggle.checked;
  };
  const legend = make('div', {className: 'legend', 'aria-hidden': 'true'},
    make('span', {}, STRINGS.after), make('span', {}, STRINGS.before));
  return make('figure', {className: 'compare'},
    make('figcaption', {}, STRINGS.before_after),
    make('div', {className: 'stack'}, before, after, difference, slider),
    legend,
    make('label', {className: 'check'}, toggle, ' ', STRINGS.difference));
}
