"""JupyterLab for researchers: how it is started, what its kernels do, and what it shows beside itself."""
