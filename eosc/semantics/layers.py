def layer_of_mixer(layer, mixer, scope, names, findings, text):
    return mixer
