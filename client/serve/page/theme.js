// Sets the colours before the first paint, from what was chosen earlier, and lets a button change them.
//
// A classic script in the head: a module would run after the first paint, which would flash.
(() => {
  const choices = ['auto', 'light', 'dark'];
  const words = { auto: 'Auto', light: 'Light', dark: 'Dark' };

  function chosen() {
    try {
      const stored = localStorage.getItem('ferry-theme');
      return choices.includes(stored) ? stored : 'auto';
    } catch {
      return 'auto';
    }
  }

  function apply(theme) {
    if (theme === 'auto') {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = theme;
    }
  }

  function label(button, theme) {
    button.querySelector('span').textContent = words[theme];
    button.setAttribute('aria-label', `${words[theme]} colours`);
    button.title = 'Colours: as the system has them, light, dark';
  }

  apply(chosen());
  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    label(button, chosen());
    button.addEventListener('click', () => {
      const theme = choices[(choices.indexOf(chosen()) + 1) % choices.length];
      try {
        localStorage.setItem('ferry-theme', theme);
      } catch {
        // A browser that stores nothing keeps the colours of this page only.
      }
      apply(theme);
      label(button, theme);
    });
  });
})();
