from tinylearn_host import simulator

simulator.on_path()  # `import tl_infer` is the simulator
