# A binding with its kernels as a module of a firmware that CMake builds.

include_guard(GLOBAL)

function(tinylearn_module NAME FOLDER)
    set(HERE ${FOLDER}/..)
    file(STRINGS ${FOLDER}/kernels.txt KERNELS)
    list(TRANSFORM KERNELS PREPEND ${HERE}/kernels/)
    add_library(usermod_${NAME} INTERFACE)
    target_sources(usermod_${NAME} INTERFACE ${FOLDER}/mod${NAME}.c ${KERNELS})
    target_include_directories(usermod_${NAME} INTERFACE ${HERE} ${HERE}/kernels)
    target_link_libraries(usermod INTERFACE usermod_${NAME})
    # For speed, whatever the firmware is built for.
    set_source_files_properties(${KERNELS} PROPERTIES COMPILE_OPTIONS -O2)
endfunction()
